"""The surcharges of a month: by the electricity of a node, and by what was made with it; pure."""

from centre.accounting.surcharge import Surcharge, row_on
from centre.carriers import Carrier, Flow
from centre.membership import UNDATED, Membership
from centre.period import Period
from centre.plant import Plant
from centre.plant_terms import PlantTerms
from centre.records import Records
from centre.statement_lines import carrier_line, unmetered
from centre.statement_told import Told, products
from centre.statement_year import in_month
from centre.surcharges import surcharge_of


def surcharged(
    plant: Plant, month: Period, records: Records, terms: PlantTerms, told: Told, *, membership: Membership = UNDATED
) -> tuple[Surcharge, ...]:  # fmt: skip
    """The surcharges of a month, by the notices of its first day."""
    found: list[Surcharge] = []
    for one in terms.surcharges:
        row = row_on(one.rows, month.first)
        node = next((node for node in plant.tree.walk() if node.id == (one.node or plant.tree.id)), None)
        if row is not None and node is not None:
            inside, within = in_month(records, month, plant.zone), membership.within(month)
            line = carrier_line(plant, node, Carrier.ELECTRICITY, month, inside, membership=within)
            output = None if one.product is None else products(told, plant.site, node, month).get(one.product)
            energy = None if line is None else line.flows.get(Flow.IMPORT)
            found.append(surcharge_of(row, one, energy or unmetered("electricity", "kWh"), output))
    return tuple(found)
