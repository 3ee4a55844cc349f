"""Our schema on a real API server, under a group of its own.

Role: ask the server what it makes of a manifest. Must not know: what a good manifest is.
Trade-off: the CRD is served as `contract.infertune.io`, so that these tests meet neither the
tunings of a running operator nor its CRD; the committed bytes themselves are tried by a dry run.
"""

import copy
import json
import time
from pathlib import Path
from typing import Any, Self

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import MaxRetryError

GROUP = "contract.infertune.io"
PLURAL = "inferencetunings"
NAMESPACE = "default"
DEADLINE_SECONDS = 30.0
NOT_FOUND = 404


class ScratchApi:
    """A few calls to the API server; a refusal is returned as its message."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api
        self._crds = client.ApiextensionsV1Api(api)
        self._objects = client.CustomObjectsApi(api)
        self._crd_name = f"{PLURAL}.{GROUP}"

    @classmethod
    def connect(cls, kubeconfig: Path) -> Self:
        """Connect to the API server for tests."""
        return cls(config.new_client_from_config(config_file=str(kubeconfig)))

    def install(self, crd: dict[str, Any]) -> None:
        """Install the CRD under the scratch group and wait until it is served."""
        document = copy.deepcopy(crd)
        document["metadata"]["name"] = self._crd_name
        document["spec"]["group"] = GROUP
        self._delete_crd()
        self._crds.create_custom_resource_definition(document)
        self._wait(self._is_served, "the scratch CRD is not served")

    def remove(self) -> None:
        """Remove the scratch CRD with every object of it."""
        self._delete_crd()
        self._api.close()

    def dry_run_crd(self, crd: dict[str, Any]) -> str | None:
        """Return why the server refuses the committed CRD, or None."""
        document = {**crd, "spec": {**crd["spec"], "group": "dryrun.infertune.io"}}
        document["metadata"] = {"name": f"{PLURAL}.dryrun.infertune.io"}
        try:
            self._crds.create_custom_resource_definition(
                document, dry_run="All", field_validation="Strict"
            )
        except ApiException as error:
            return _message(error)
        return None

    def refusal(self, manifest: dict[str, Any]) -> str | None:
        """Return why the server refuses a manifest, asked as kubectl asks; None: it does not."""
        try:
            self.create(manifest, dry_run="All")
        except ApiException as error:
            return _message(error)
        return None

    def create(self, manifest: dict[str, Any], **options: str) -> dict[str, Any]:
        """Create an object and return it as stored, defaults included."""
        body = {**copy.deepcopy(manifest), "apiVersion": f"{GROUP}/v1alpha1"}
        body["metadata"] = {"name": manifest["metadata"]["name"]}
        return self._objects.create_namespaced_custom_object(
            GROUP, "v1alpha1", NAMESPACE, PLURAL, body, field_validation="Strict", **options
        )

    def patch_refusal(self, name: str, patch: dict[str, Any]) -> str | None:
        """Merge a patch into an object; return why the server refuses it, or None."""
        try:
            self._objects.patch_namespaced_custom_object(
                GROUP, "v1alpha1", NAMESPACE, PLURAL, name, patch
            )
        except ApiException as error:
            return _message(error)
        return None

    def write_status(self, stored: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        """Replace the status of a stored object and return it as stored then."""
        body = {**stored, "status": status}
        answer = self._objects.replace_namespaced_custom_object_status(
            GROUP,
            "v1alpha1",
            NAMESPACE,
            PLURAL,
            stored["metadata"]["name"],
            body,
            field_validation="Strict",
        )
        return answer["status"]

    def delete(self, name: str) -> None:
        """Delete an object."""
        self._objects.delete_namespaced_custom_object(GROUP, "v1alpha1", NAMESPACE, PLURAL, name)

    def printed(self, name: str) -> dict[str, Any]:
        """Return the columns that `kubectl get` prints of one object."""
        as_table = {"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}
        raw = self._objects.get_namespaced_custom_object(
            GROUP, "v1alpha1", NAMESPACE, PLURAL, name, _headers=as_table
        )
        names = [column["name"] for column in raw["columnDefinitions"]]
        return dict(zip(names, raw["rows"][0]["cells"], strict=True))

    def _is_served(self) -> bool:
        try:
            self._objects.list_namespaced_custom_object(GROUP, "v1alpha1", NAMESPACE, PLURAL)
        except (ApiException, MaxRetryError):
            # The client has asked again by itself where the storage is still being set up (429).
            return False
        return True

    def _delete_crd(self) -> None:
        try:
            self._crds.delete_custom_resource_definition(self._crd_name)
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
        self._wait(lambda: not self._crd_exists(), "the scratch CRD does not go")

    def _crd_exists(self) -> bool:
        try:
            self._crds.read_custom_resource_definition(self._crd_name)
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
            return False
        return True

    @staticmethod
    def _wait(condition: Any, complaint: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, complaint
            time.sleep(0.1)


def _message(error: ApiException) -> str:
    return str(json.loads(error.body)["message"])
