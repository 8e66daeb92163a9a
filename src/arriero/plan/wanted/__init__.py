"""What each site should hold: one module a cloud, all with the same functions.

    KINDS                      kind -> name of the step that makes it, in the order of making
    IMMUTABLE                  kind -> properties that no cloud changes in place ("*": all)
    definition(site)           what a target is: the normalised part whose change makes a new release
    wanted(site, found, release, count) -> tuple[Resource, ...]

`definition_hash` (in `plan/definition.py`) of the definition is recorded with every target, so that a change of the
spec (other hash: a new release) and drift (same hash, other properties: repair) are told apart.
"""
