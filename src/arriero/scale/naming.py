"""Has the name by which a site's edges find targets follow those that run, where its cloud does not do so by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from arriero.clouds.scaling import Require
from arriero.errors import CloudError
from arriero.releases.turns import NotNow
from arriero.scale.rights import Rights
from arriero.scale.telling import SiteView

WRITE_SECONDS = 5.0

Name = Callable[[Require], None]


def name_targets(view: SiteView, namings: Mapping[str, Name], rights: Rights, tell: Callable[..., None]) -> None:
    """In a turn of the deployers' lease, where the name leads to others than those that run; else nothing."""
    name = namings.get(view.site.name)
    if name is None or view.standing is None or not view.standing.is_misnamed:
        return
    try:
        with rights.turn() as lease:
            name(lambda: lease.require(WRITE_SECONDS))
    except NotNow as error:
        tell("scale.waits", view.site.name, text=str(error))
    except CloudError as error:
        tell("scale.failed", view.site.name, text=str(error))
    else:
        tell("scale.named", view.site.name, text="the name of its targets leads to those that run now")
