"""Questions that cannot be answered: a type the API and the page turn into a clear answer."""


class FigureError(Exception):
    """`code` for programs, `message` for people, `status` of the HTTP answer."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class UnknownSite(FigureError):
    """No plant of that name is set up here."""

    def __init__(self, site: str) -> None:
        super().__init__("unknown_site", f"there is no site {site[:64]!r} here; /api/v1/plants lists them", 404)


class BadQuestion(FigureError):
    """A parameter that cannot be understood."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_parameter", message, 400)
