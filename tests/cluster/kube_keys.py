"""The keys that our manifests may hold: as much of Kubernetes' and KubeRay's schemas as they use, written down here.

The real schemas are large and not ours to ship; `test_manifests.py` takes them too, where they are at hand. A leaf is a
type or several, of which `str` also stands for what Kubernetes reads as text; `{"*": shape}` is a mapping of any keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_QUANTITY = (str, int)
_TEXTS = {"*": str}
_SECRET_KEY = {"name": str, "key": str, "optional": bool}
_ENV = {"name": str, "value": str, "valueFrom": {"secretKeyRef": _SECRET_KEY, "fieldRef": {"fieldPath": str}}}
_SELECTOR = {"matchLabels": _TEXTS, "matchExpressions": [{"key": str, "operator": str, "values": [str]}]}
_RESOURCES = {"limits": {"*": _QUANTITY}, "requests": {"*": _QUANTITY}}
_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": bool,
    "capabilities": {"drop": [str]},
    "readOnlyRootFilesystem": bool,
}
_CONTAINER = {
    "name": str,
    "image": str,
    "imagePullPolicy": str,
    "command": [str],
    "args": [str],
    "env": [_ENV],
    "ports": [{"name": str, "containerPort": int}],
    "resources": _RESOURCES,
    "securityContext": _CONTAINER_SECURITY,
    "volumeMounts": [{"name": str, "mountPath": str, "subPath": str, "readOnly": bool}],
}
_POD_SPEC = {
    "automountServiceAccountToken": bool,
    "containers": [_CONTAINER],
    "imagePullSecrets": [{"name": str}],
    "nodeSelector": _TEXTS,
    "securityContext": {
        "runAsNonRoot": bool,
        "runAsUser": int,
        "runAsGroup": int,
        "fsGroup": int,
        "fsGroupChangePolicy": str,
        "seccompProfile": {"type": str},
    },
    "terminationGracePeriodSeconds": int,
    "tolerations": [{"key": str, "operator": str, "value": str, "effect": str}],
    "topologySpreadConstraints": [
        {
            "topologyKey": str,
            "maxSkew": int,
            "minDomains": int,
            "whenUnsatisfiable": str,
            "labelSelector": _SELECTOR,
            "matchLabelKeys": [str],
        }
    ],
    "volumes": [
        {"name": str, "persistentVolumeClaim": {"claimName": str}, "emptyDir": {"sizeLimit": _QUANTITY, "medium": str}}
    ],
}
_POD = {"metadata": {"labels": _TEXTS, "annotations": _TEXTS}, "spec": _POD_SPEC}
_RAY_CLUSTER = {
    "rayVersion": str,
    "authOptions": {"mode": str, "secretName": str},
    "enableInTreeAutoscaling": bool,
    "autoscalerOptions": {
        "version": str,
        "idleTimeoutSeconds": int,
        "upscalingMode": str,
        "resources": _RESOURCES,
        "securityContext": _CONTAINER_SECURITY,
    },
    "gcsFaultToleranceOptions": {"redisAddress": str, "redisPassword": {"valueFrom": {"secretKeyRef": _SECRET_KEY}}},
    "headGroupSpec": {"serviceType": str, "rayStartParams": _TEXTS, "template": _POD},
    "workerGroupSpecs": [
        {
            "groupName": str,
            "labels": _TEXTS,
            "replicas": int,
            "minReplicas": int,
            "maxReplicas": int,
            "idleTimeoutSeconds": int,
            "rayStartParams": _TEXTS,
            "template": _POD,
        }
    ],
}
_CLAIM = {"storageClassName": str, "accessModes": [str], "resources": {"requests": {"*": _QUANTITY}}}
_PEER = {"podSelector": _SELECTOR, "namespaceSelector": _SELECTOR}

SPECS: dict[tuple[str, str], Any] = {
    ("ray.io/v1", "RayCluster"): _RAY_CLUSTER,
    ("ray.io/v1", "RayJob"): {
        "clusterSelector": _TEXTS,
        "submissionMode": str,
        "entrypoint": str,
        "activeDeadlineSeconds": int,
    },
    ("ray.io/v1", "RayService"): {
        "upgradeStrategy": {"type": str},
        "rayClusterDeletionDelaySeconds": int,
        "excludeHeadPodFromServeSvc": bool,
        "serveConfigV2": str,
        "rayClusterConfig": _RAY_CLUSTER,
    },
    ("v1", "PersistentVolumeClaim"): _CLAIM,
    ("v1", "Service"): {"type": str, "selector": _TEXTS, "ports": [{"name": str, "port": int}]},
    ("apps/v1", "StatefulSet"): {
        "serviceName": str,
        "replicas": int,
        "selector": _SELECTOR,
        "template": _POD,
        "volumeClaimTemplates": [{"metadata": {"name": str}, "spec": _CLAIM}],
    },
    ("networking.k8s.io/v1", "NetworkPolicy"): {
        "podSelector": _SELECTOR,
        "policyTypes": [str],
        "ingress": [{"from": [_PEER], "ports": [{"port": int, "protocol": str}]}],
    },
    ("policy/v1", "PodDisruptionBudget"): {"minAvailable": _QUANTITY, "selector": _SELECTOR},
    ("monitoring.coreos.com/v1", "PodMonitor"): {
        "selector": _SELECTOR,
        "podTargetLabels": [str],
        "podMetricsEndpoints": [{"port": str}],
    },
}


def unknown(manifest: dict[str, Any]) -> list[str]:
    """Keys that are not in `SPECS`, and values of another type: in most of them an API server drops the former."""
    kind = (manifest.get("apiVersion"), manifest.get("kind"))
    if kind not in SPECS:
        return [f"{kind}: no manifest of ours is of this kind"]
    whole = {
        "apiVersion": str,
        "kind": str,
        "metadata": {"name": str, "labels": _TEXTS, "annotations": _TEXTS},
        "spec": SPECS[kind],
    }
    return list(_unknown(manifest, whole, ""))


def _unknown(value: Any, shape: Any, where: str) -> Iterator[str]:
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            yield f"{where}: a mapping is wanted, this is {value!r}"
            return
        for key, inner in value.items():
            place = f"{where}.{key}" if where else str(key)
            if key not in shape and "*" not in shape:
                yield f"{place}: no such key"
            else:
                yield from _unknown(inner, shape.get(key, shape.get("*")), place)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{where}: a list is wanted, this is {value!r}"
            return
        for n, inner in enumerate(value):
            yield from _unknown(inner, shape[0], f"{where}.{n}")
    else:
        types = shape if isinstance(shape, tuple) else (shape,)
        if type(value) not in types:  # a bool is no int here
            yield f"{where}: {' or '.join(one.__name__ for one in types)} is wanted, this is {value!r}"
