"""The files themselves: where to scrape, the rules, and promtool's tests of each alert."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from arriero.pipeline.prometheus.alerts import JOB, SIDECARS_JOB, Alert, alerts_of
from arriero.pipeline.prometheus.objectives import records
from arriero.pipeline.yaml_file import yaml_file
from arriero.spec.model import Spec

CONFIG, RULES, TESTS = "prometheus.yml", "arriero.rules.yml", "arriero.rules.test.yml"
RUNBOOKS = "runbooks"
NEXT = f"""\
Try the rules:        promtool test rules {TESTS}
Serve:                prometheus --config.file={CONFIG}
Where the gateway asks for keys, put one with the role viewer into a file, and name that in {CONFIG}."""


def files(spec: Spec, _home: Path) -> Mapping[str, str]:
    """Three files, and a page for each alert; no secret is in them."""
    pages = resources.files(__package__).joinpath(RUNBOOKS)
    runbooks = {f"{RUNBOOKS}/{a.name}.md": pages.joinpath(f"{a.name}.md").read_text("utf-8") for a in alerts_of(spec)}
    return {
        **runbooks,
        CONFIG: yaml_file("prometheus", _config(spec))
        + _WITH_KEYS
        + (_WITH_TLS if spec.gateway.tls else "")
        + _BY_FILE,
        RULES: yaml_file("prometheus", _rules(spec)),
        TESTS: yaml_file("prometheus", _tests(spec)),
    }


# The type is said, as Prometheus 2.42 sends none of its own accord with http_sd_configs.
_WITH_KEYS = """\
# Where the gateway asks for keys, add this to its job, and to the entry below http_sd_configs:
#   authorization: {type: Bearer, credentials_file: viewer.key}
"""
# Relative paths start at the folder of the settings.
_BY_FILE = """\
# Where Prometheus can't ask the gateway, put this in place of http_sd_configs, and keep the file fresh with
# arriero export targets --out targets --watch
#   file_sd_configs: [{files: [targets/arriero-sidecars.json]}]
"""
_WITH_TLS = """\
# Where this machine does not know who signed the gateway's certificate, add in the same two places:
#   tls_config: {ca_file: ca.pem}
"""


def _config(spec: Spec) -> Mapping[str, Any]:
    """Sidecars are found by asking the gateway, which knows all targets that there are now; Prometheus itself has to
    be in a network that they tell their figures to.
    """
    address = f"{spec.gateway.address}:{spec.gateway.port}"
    scheme = "https" if spec.gateway.tls else "http"
    gateway = {
        "job_name": JOB,
        "scheme": scheme,
        "metrics_path": "/metrics",
        "static_configs": [{"targets": [address], "labels": {"service": spec.name}}],
    }
    sidecars = {
        "job_name": SIDECARS_JOB,
        "metrics_path": "/metrics",
        "http_sd_configs": [{"url": f"{scheme}://{address}/metrics/targets", "refresh_interval": "15s"}],
    }
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": [RULES],
        "scrape_configs": [gateway, sidecars],
    }


def _rules(spec: Spec) -> Mapping[str, Any]:
    recorded = [{"record": name, "expr": expr} for name, expr in records().items()]
    return {
        "groups": [
            {"name": "arriero objectives", "interval": "1m", "rules": recorded},
            {"name": "arriero alerts", "interval": "1m", "rules": [_alert(alert, spec) for alert in alerts_of(spec)]},
        ]
    }


def _alert(alert: Alert, spec: Spec) -> Mapping[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.holds,
        "labels": {"severity": alert.severity, "service": spec.name},
        "annotations": {"summary": alert.summary, "runbook": f"{RUNBOOKS}/{alert.name}.md"},
    }


def _tests(spec: Spec) -> Mapping[str, Any]:
    """Each alert twice: where it must fire, and where it must not."""
    return {
        "rule_files": [RULES],
        "evaluation_interval": "1m",
        "tests": [case for alert in alerts_of(spec) for case in (_case(alert, spec, True), _case(alert, spec, False))],
    }


def _case(alert: Alert, spec: Spec, fires: bool) -> Mapping[str, Any]:
    series = alert.fires if fires else alert.quiet
    summary = alert.summary
    for label, value in alert.labels.items():
        summary = summary.replace(f"{{{{ $labels.{label} }}}}", value)
    fired = {
        "exp_labels": {"severity": alert.severity, "service": spec.name, **alert.labels},
        "exp_annotations": {"summary": summary, "runbook": f"{RUNBOOKS}/{alert.name}.md"},
    }
    return {
        "name": f"{alert.name} {'fires' if fires else 'stays quiet'}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{alert.minutes}m" if alert.minutes > 60 else "59m",
                "alertname": alert.name,
                "exp_alerts": [fired] if fires else [],
            }
        ],
    }
