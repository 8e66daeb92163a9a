"""What puts sites to sleep and wakes them without a hand: a playbook for Ansible, and lines for cron.

Both say nothing of times: what runs looks at the spec's off hours itself. So a change of the clock, or of the hours,
needs no new file, and a run that was missed is made up for by the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from arriero.errors import Problem, Refused
from arriero.spec.model import Spec

PLAYBOOK, CRONTAB = "schedule.yml", "schedule.cron"
EVERY_MINUTES = 5
NEXT = """\
Either append schedule.cron to your crontab, with your folder in it; or have Ansible run in the spec's folder, as often
as you like: arriero env -- ansible-playbook -i fleet.arriero.yml schedule.yml"""


def files(spec: Spec, _home: Path) -> Mapping[str, str]:
    """Raises Refused where no site has off hours."""
    off = {name: str(site.off.text) for name in spec.sites if (site := spec.site(name)).off}
    if not off:
        remedy = "write some, like off: 22:00-06:00 Europe/Berlin on weekdays, weekends"
        raise Refused(Problem("no site has off hours", remedy, key="off"))
    hours = "".join(f"#   {name}: {text}\n" for name, text in off.items())
    head = f"# Made by `arriero export schedule`. Off hours of {spec.name}:\n{hours}"
    return {PLAYBOOK: f"---\n{head}{_PLAYBOOK}", CRONTAB: f"{head}{_CRON}"}


_PLAYBOOK = """\
#
# It makes every site as the spec says at this moment: asleep in its off hours, awake in all others. Sites that are
# right are left as they are.
- name: Put sites to sleep, or wake them
  ansible.builtin.import_playbook: arriero.fleet.site
"""


_CRON = f"""\
# Write the folder of arriero.yaml here:
FOLDER=/srv/arriero
*/{EVERY_MINUTES} * * * * cd "$FOLDER" && arriero schedule run --yes
"""
