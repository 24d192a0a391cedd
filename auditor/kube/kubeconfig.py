"""The server that a kubeconfig and kubectl's flags name. The one place that touches the `kubernetes` package.

Its typed models cost four times the CPU and twice the memory of the plain documents, so its `Configuration` and connection
pool are used and nothing above them. It takes 9 MiB to import, which the agent in a pod does without.
"""

import os
from threading import Lock
from typing import Any, Final

import urllib3
import yaml
from kubernetes.client import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import ConfigException, list_kube_config_contexts, load_kube_config
from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigLoader, KubeConfigMerger

from auditor.kube.access import Access
from auditor.kube.server import CONNECTIONS, NoConfigError, Server, as_header

_NOT_A_KUBECONFIG: Final = (ConfigException, yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError)
"""What the package raises for a file that is YAML of another shape, or none at all."""

# The package writes certificates to temporary files, and gives their names away before they are written.
_LOADING: Final = Lock()


def server(access: Access) -> Server:
    """Find it.

    Raises:
        NoConfigError: no configuration that could be read.
    """
    found: Any = Configuration()  # the package has no types
    try:
        with _LOADING:
            _load(access, found)
    except (*_NOT_A_KUBECONFIG, OSError) as error:
        raise NoConfigError(_why(access, error)) from None
    found.connection_pool_maxsize = CONNECTIONS
    try:
        pool = RESTClientObject(found).pool_manager
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:  # a proxy or certificate that cannot be used
        raise NoConfigError(str(error)) from None

    def credentials() -> dict[str, str]:
        """Return what the package says; it reads a token anew every minute while it is asked."""
        try:
            settings = found.auth_settings()
        except (ConfigException, OSError) as error:
            raise NoConfigError(f"no usable credentials: {error}") from None
        return {str(each["key"]): as_header(str(each["value"])) for each in settings.values() if each.get("value")}

    return Server(str(found.host).rstrip("/"), pool, credentials)


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
    why = str(error) if isinstance(error, (ConfigException, OSError)) else "it is no kubeconfig"
    return why if access.kubeconfig is None else f"{access.kubeconfig}: {why}"
