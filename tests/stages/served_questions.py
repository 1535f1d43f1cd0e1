"""What a client asks the served agent, and what it hears while the server ends."""

import threading

import httpx
import openai
import pytest


class RunningQuestion:
    """A streamed one that has begun. `heard`: its events, all of them once the server has ended."""

    def __init__(self, url: str) -> None:
        self._heard: list[str] = []
        begun = threading.Event()
        self._thread = threading.Thread(target=self._listen, args=(url, begun))
        self._thread.start()
        assert begun.wait(300)

    @property
    def heard(self) -> list[str]:
        self._thread.join(300)
        return self._heard

    def _listen(self, url: str, begun: threading.Event) -> None:
        asked = {"model": "fireact/demo", "messages": [{"role": "user", "content": "When was Fulwom Thesfer born?"}]}
        with httpx.stream("POST", f"{url}/v1/chat/completions", json={**asked, "stream": True}, timeout=300) as reply:
            for line in reply.iter_lines():
                if line.startswith("data: "):
                    self._heard.append(line)
                    begun.set()


def ask_by_openai_client(url: str) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    assert [m.id for m in client.models.list()] == ["fireact/demo"]
    asked = [{"role": "user", "content": "When was Welrel Brambram born?"}]
    whole = client.chat.completions.create(model="fireact/demo", messages=asked)
    chunks = list(client.chat.completions.create(model="fireact/demo", messages=asked, stream=True))
    assert "Thought:" not in whole.choices[0].message.content
    streamed = "".join(getattr(c.choices[0].delta, "reasoning_content", None) or "" for c in chunks)
    assert streamed == whole.choices[0].message.reasoning_content
    assert streamed.startswith("Thought: ")
    assert whole.usage.completion_tokens > 0
    with pytest.raises(openai.NotFoundError, match="Known: fireact/demo"):
        client.chat.completions.create(model="gpt-4", messages=asked)
