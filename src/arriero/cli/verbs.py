"""Which module has which verbs. A command imports its own verbs only: the others would be half of its start."""

from __future__ import annotations

from importlib import import_module

import typer

MODULES: dict[str, tuple[str, ...]] = {
    "specifying": ("init", "config", "schema", "docs"),
    "deploying": ("plan", "up", "down"),
    "releases": ("history", "show", "diff"),
    "locking": ("promote", "lock"),
    "rolling_back": ("rollback",),
    "looking": ("status", "logs", "doctor", "env"),
    "topping": ("top",),
    "paging": ("ui",),
    "reporting": ("report",),
    "costing": ("cost", "prices"),
    "rightsizing": ("rightsize",),
    "drilling": ("drill",),
    "failing_over": ("failover", "failback"),
    "storing": ("models",),
    "sleeping": ("sleep", "wake", "schedule"),
    "ask": ("ask",),
    "checking": ("check",),
    "explaining": ("explain",),
    "exporting": ("export",),
    "image": ("image",),
    "keys": ("keys",),
    "serving": ("gateway", "controller"),
    "rehearsing": ("rehearse",),
    "setting_up": ("setup", "version"),
    "syncing": ("sync",),
    "testing": ("test",),
    "simulating": ("simulate",),
    "validating": ("validate",),
    "notifying": ("notify",),
}


def app_of(word: str = "") -> typer.Typer:
    """The command with the verbs beside `word`; with all, where it is none (a flag, a mistake, nothing)."""
    app = typer.Typer(
        help="One short file puts Ollama on AWS ECS Fargate, on Azure Container Instances and on your own machine.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    # With a callback a single verb is a verb still, not the whole command.
    app.callback()(lambda: None)
    named = [module for module, verbs in MODULES.items() if word in verbs]
    for module in named or MODULES:
        import_module(f"arriero.cli.{module}").register(app)
    return app
