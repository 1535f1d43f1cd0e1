"""Nodes of a cluster that are processes of one machine, each with a folder of its own for its session.

Ray's provider for tests lets all nodes share one folder. There they overwrite each other's copy of a job's working
folder, under the feet of its driver.
"""

from __future__ import annotations

import json
from typing import Any

from ray._private.node import Node
from ray._private.parameter import RayParams
from ray._private.ray_constants import LABELS_ENVIRONMENT_VARIABLE, RESOURCES_ENVIRONMENT_VARIABLE
from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.tags import (
    NODE_KIND_WORKER,
    STATUS_UP_TO_DATE,
    TAG_RAY_NODE_KIND,
    TAG_RAY_NODE_NAME,
    TAG_RAY_NODE_STATUS,
    TAG_RAY_USER_NODE_TYPE,
)


class LocalNodes(FakeMultiNodeProvider):
    """`folder` of the provider's configuration: where the nodes' folders lie."""

    def _create_node_with_resources_and_labels(
        self, node_config: Any, tags: dict[str, str], count: int, resources: dict[str, float], labels: dict[str, str]
    ) -> None:
        with self.lock:
            node_id = self._next_hex_node_id()
            named = {TAG_RAY_NODE_KIND: NODE_KIND_WORKER, TAG_RAY_NODE_STATUS: STATUS_UP_TO_DATE}
            named |= {TAG_RAY_NODE_NAME: node_id, **tags}
            self._nodes[node_id] = {"tags": named, "node": self._start(node_id, tags, dict(resources), labels)}

    def _start(self, node_id: str, tags: dict[str, str], left: dict[str, float], labels: dict[str, str]) -> Node:
        params = RayParams(
            min_worker_port=0,
            max_worker_port=0,
            dashboard_port=None,
            dashboard_agent_listen_port=0,
            num_cpus=left.pop("CPU", 0),
            num_gpus=left.pop("GPU", 0),
            object_store_memory=left.pop("object_store_memory", None),
            resources=left,
            labels=labels,
            redis_address=self._gcs_address,
            gcs_address=self._gcs_address,
            temp_dir=f"{self.provider_config['folder']}/{self._next_node_id}",
            env_vars={
                "RAY_OVERRIDE_NODE_ID_FOR_TESTING": node_id,
                "RAY_CLOUD_INSTANCE_ID": node_id,
                "RAY_NODE_TYPE_NAME": tags[TAG_RAY_USER_NODE_TYPE],
                RESOURCES_ENVIRONMENT_VARIABLE: json.dumps(left),
                LABELS_ENVIRONMENT_VARIABLE: json.dumps(labels),
            },
        )
        return Node(params, head=False, shutdown_at_exit=False, spawn_reaper=False)
