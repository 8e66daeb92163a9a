"""The one figure of ours that CloudWatch keeps: how many requests are open at each target of a site."""

from __future__ import annotations

from arriero.clouds.aws.clients import clients
from arriero.clouds.aws.errors import door
from arriero.plan.model import SiteRef
from arriero.plan.wanted.aws_scaling import NAMESPACE, REQUESTS


def tell(ref: SiteRef, open_requests: float) -> None:
    """Raises CloudError."""
    dimensions = [{"Name": "Service", "Value": ref.service}, {"Name": "Site", "Value": ref.site}]
    figure = {"MetricName": REQUESTS, "Dimensions": dimensions, "Value": open_requests, "Unit": "Count"}
    with door(ref.site, ref.region):
        clients().get("cloudwatch", ref.region).put_metric_data(Namespace=NAMESPACE, MetricData=[figure])
