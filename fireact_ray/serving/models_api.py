"""GET /v1/models and /v1/models/{model}: the agents, as models."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from fireact_ray.serving.service import Service


def add_models(app: FastAPI, service: Service) -> None:
    def card(model: str) -> dict[str, Any]:
        agent = service.agent(model)
        about = {
            "method": agent.method.name,
            "tools": list(agent.method.tools),
            "max_steps": agent.limits.max_steps,
            "takes_faults": service.settings.faults,
        }
        created = service.settings.created.get(model, 0)
        return {"id": model, "object": "model", "created": created, "owned_by": "fireact_ray", "fireact": about}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [card(model) for model in service.agents]}

    @app.get("/v1/models/{model:path}")
    async def model(model: str) -> dict[str, Any]:
        return card(model)
