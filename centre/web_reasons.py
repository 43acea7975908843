"""Why there is no value, in the reader's language: what the rules say in codes, on the page and in reports."""

from centre.accounting.terms import NO_FACTOR
from centre.web_i18n import Words


def reason(code: str | None, words: Words) -> str:
    """Of each cause its months and its meter, without ids of inputs; what the catalogue does not know stays as it is.

    Of a factor that is missing the trace tells which rows were looked for.
    """
    if code is None:
        return ""
    if code.startswith(f"{NO_FACTOR}:"):
        return words(f"reason.{NO_FACTOR}")
    return words("list.comma").join(dict.fromkeys(_cause(cause, words) for cause in code.split(", ")))


def _cause(told: str, words: Words) -> str:
    """`interval:...: incomer: no_data` is `incomer: no readings`."""
    parts = told.split(": ")
    at = next((at for at in reversed(range(len(parts))) if f"reason.{parts[at]}" in words.known), None)
    if at is None:
        return told
    named = [words.get(f"carrier.{part}", part) for part in parts[:at] if not set(part) & set(":/")]
    return ": ".join([*named, words(f"reason.{parts[at]}"), *parts[at + 1 :]])
