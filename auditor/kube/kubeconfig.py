"""A configuration of the `kubernetes` package: of the pod's own service account, or of a kubeconfig and kubectl's flags."""

import os
from typing import Any, Final

import yaml
from kubernetes.client import Configuration
from kubernetes.config import (
    ConfigException,
    list_kube_config_contexts,
    load_incluster_config,
    load_kube_config,
)
from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigLoader, KubeConfigMerger

from auditor.kube.access import Access

_NOT_A_KUBECONFIG: Final = (ConfigException, yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError)
"""What the package raises for a file that is YAML of another shape, or none at all."""


def configuration(access: Access) -> Any:  # noqa: ANN401 - the package has no types
    """Load it: from the pod's own service account inside of a cluster, unless a context or a file is named.

    Raises:
        ConfigException: no configuration that could be read. OSError: neither.
    """
    configuration = Configuration()
    named = (access.context, access.kubeconfig, access.cluster, access.user, access.server)
    if not any(named) and os.environ.get("KUBERNETES_SERVICE_HOST"):
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        try:
            _load(access, configuration)
        except _NOT_A_KUBECONFIG as error:
            raise ConfigException(_why(access, error)) from None
    return configuration


def namespace(access: Access) -> str | None:
    """Return the namespace that the kubeconfig names; `None` where it names none, or cannot be read."""
    try:
        contexts, active = list_kube_config_contexts(access.kubeconfig)  # type: ignore[no-untyped-call]
        chosen = next((one for one in contexts if one.get("name") == access.context), active)
        named = (chosen.get("context") or {}).get("namespace")
    except (OSError, *_NOT_A_KUBECONFIG):
        return None
    return str(named) if named else None


def _load(access: Access, configuration: Any) -> None:  # noqa: ANN401
    if access.cluster is None and access.user is None and access.server is None:
        load_kube_config(  # type: ignore[no-untyped-call]
            config_file=access.kubeconfig, context=access.context, client_configuration=configuration
        )
        return
    # Changed before it is loaded: the package sets all of it anew whenever it reads a token again.
    merged = KubeConfigMerger(access.kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION).config  # type: ignore[no-untyped-call]
    if merged is None:
        raise ConfigException("there is no kubeconfig")
    chosen = merged["contexts"].get_with_name(access.context or merged["current-context"]).value
    asked = {"cluster": access.cluster, "user": access.user}
    chosen["context"] |= {key: name for key, name in asked.items() if name is not None}
    if access.user is not None:
        merged["users"].get_with_name(access.user)  # the loader would do without one
    if access.server is not None:
        merged["clusters"].get_with_name(chosen["context"]["cluster"]).value["cluster"]["server"] = access.server
    KubeConfigLoader(merged, chosen["name"], config_base_path=None).load_and_set(configuration)  # type: ignore[no-untyped-call]


def _why(access: Access, error: Exception) -> str:
    if access.kubeconfig is not None and not os.path.exists(access.kubeconfig):
        return f"{access.kubeconfig} does not exist"
    why = str(error) if isinstance(error, ConfigException) else "it is no kubeconfig"
    return why if access.kubeconfig is None else f"{access.kubeconfig}: {why}"
