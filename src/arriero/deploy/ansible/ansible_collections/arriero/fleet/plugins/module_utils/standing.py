# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What modules share that make a thing at AWS, find it again by its tags, and wait until AWS has done it."""

from __future__ import annotations

import time

from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
from botocore.exceptions import BotoCoreError, ClientError

LOOK_SECONDS = 1


class Standing:
    """What a module was asked for, and a client of `service`; `changed` is whether anything was done."""

    def __init__(self, module, service, what):
        self.client = module.client(service, retry_decorator=AWSRetry.jittered_backoff())
        self.asked, self.what = module.params, what
        self.deadline, self.changed = time.monotonic() + module.params["timeout"], False

    def tags(self):
        return [{"Key": key, "Value": value} for key, value in self.asked["tags"].items()]

    def is_tagged(self, found):
        tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
        return all(tags.get(key) == value for key, value in self.asked["tags"].items())

    def until(self, is_so, how="ready"):
        """Raises TimeoutError when AWS is not done by the module's time-out."""
        while not is_so():
            if time.monotonic() > self.deadline:
                raise TimeoutError(f"AWS did not have {self.what} {how} in time")
            time.sleep(LOOK_SECONDS)

    def answered(self, module, do):
        """What `do` returns; where AWS refuses or takes too long, the module fails in words."""
        try:
            return do()
        except (ClientError, BotoCoreError) as error:
            module.fail_json_aws(error, msg=f"Couldn't set {self.what}")
        except TimeoutError as error:
            module.fail_json(msg=str(error))
