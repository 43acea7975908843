"""API of the alarms: the list, what is watched, the history of one, acknowledging and assigning it."""

from starlette.requests import Request
from starlette.routing import BaseRoute

from centre.alarm_watch import AlarmWatch
from centre.api_door import Said, api_routes, asked


class OneAlarm(Said):
    """Which alarm, by its id; the reason is what its history tells."""

    alarm: str


class ToOwner(OneAlarm):
    """And to whom it is given."""

    owner: str


def routes(watch: AlarmWatch) -> list[BaseRoute]:
    """The routes; an id holds slashes, so it stands in the query or the body."""

    async def listed(request: Request) -> object:
        return {"alarms": await watch.alarms(request.path_params["site"])}

    async def watched(request: Request) -> object:
        signs = await watch.signs(request.path_params["site"])
        return {
            "indicators": [
                {"id": sign.id, "value": sign.measured.value, "basis": sign.measured.basis} for sign in signs
            ]
        }

    async def history(request: Request) -> object:
        return {"history": await watch.history(request.query_params.get("alarm", ""))}

    async def acknowledge(request: Request) -> object:
        told = await asked(request, OneAlarm)
        return await watch.acknowledge(told.alarm, author=told.author, reason=told.reason)

    async def assign(request: Request) -> object:
        told = await asked(request, ToOwner)
        return await watch.assign(told.alarm, told.owner, author=told.author, reason=told.reason)

    return api_routes(
        {
            ("GET", "/plants/{site}/alarms"): listed,
            ("GET", "/plants/{site}/indicators"): watched,
            ("GET", "/alarms/history"): history,
            ("POST", "/alarms/acknowledge"): acknowledge,
            ("POST", "/alarms/assign"): assign,
        }
    )
