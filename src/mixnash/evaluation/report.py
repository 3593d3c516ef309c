"""The report: one HTML page that needs nothing else, neither network nor scripts."""

import base64
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined

from mixnash.evaluation.evaluate import REPEATS, Result
from mixnash.evaluation.load import LoadedRun
from mixnash.evaluation.pictures import Picture
from mixnash.evaluation.readings import equilibrium_rows, game_rows, headlines, metric_rows, number


class Pictures(NamedTuple):
    """The report's pictures by section."""

    portraits: Sequence[Picture]
    over_steps: Sequence[Picture]
    over_seconds: Sequence[Picture]
    equilibrium: Sequence[Picture] = ()
    images: Sequence[Picture] = ()
    """What only images have: their classes and their nearest neighbours among the data."""

    def all(self) -> list[Picture]:
        """Those of every section."""
        return [*self.portraits, *self.images, *self.over_steps, *self.over_seconds, *self.equilibrium]


def render_report(run: LoadedRun, result: Result, pictures: Pictures, command: str) -> str:
    """The page as HTML text; all values are escaped.

    Args:
        run: what was evaluated.
        result: its numbers.
        pictures: embedded into the page.
        command: what to type to get the same report.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["data_uri"] = _data_uri
    template = environment.from_string(files(__package__).joinpath("report.html.j2").read_text())
    return template.render(
        about=result.about,
        number=number,
        who=_who(result),
        headlines=headlines(result),
        metrics=metric_rows(result),
        game=game_rows(result),
        equilibrium=equilibrium_rows(result),
        repeats=REPEATS,
        pictures=pictures,
        command=command,
        config=run.config,
    )


def _who(result: Result) -> str:
    """Which generators were evaluated."""
    positions = "moving average of positions" if result.about["averaged"] else "positions as they are"
    generators, critics = (int(result.game[name]) for name in ("generators", "critics"))
    particle = result.about["particle"]
    mixture = f"{generators} generator{'s' * (generators > 1)} against {critics} critic{'s' * (critics > 1)}"
    return f"{mixture if particle is None else f'generator {particle} of {generators}, alone'}, {positions}"


def _data_uri(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.png).decode("ascii")
