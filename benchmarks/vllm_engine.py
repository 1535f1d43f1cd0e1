"""vLLM as a process that answers lines of JSON; run by the Python of its own environment, which needs nothing of ours.

    PYTHON vllm_engine.py MODEL_DIR MAX_CONTEXT MAX_BATCH

In: {"id": "r1", "ids": [...], "max_tokens": 96, "stop": ["\\nObservation:"]};
out: {"id": "r1", "ids": [...], "read": 40}, of the prompt tokens those that were not known.
"""

from __future__ import annotations

import json
import queue
import sys
import threading


def main() -> None:
    from vllm import LLM, SamplingParams

    model_dir, max_context, max_batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    engine = LLM(
        model=model_dir, dtype="float32", max_model_len=max_context, enforce_eager=True, max_num_seqs=max_batch
    ).llm_engine
    asked: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(asked,), daemon=True).start()
    print(json.dumps({"ready": True}), flush=True)
    is_open = True
    while is_open or engine.has_unfinished_requests():
        while is_open and (not asked.empty() or not engine.has_unfinished_requests()):
            line = asked.get()
            if line is None:
                is_open = False
                break
            request = json.loads(line)
            settings = SamplingParams(temperature=0.0, max_tokens=request["max_tokens"], stop=request["stop"])
            engine.add_request(request["id"], {"prompt_token_ids": request["ids"]}, settings)
        if engine.has_unfinished_requests():
            for output in engine.step():
                if output.finished:
                    read = len(output.prompt_token_ids) - output.num_cached_tokens
                    ids = list(output.outputs[0].token_ids)
                    print(json.dumps({"id": output.request_id, "ids": ids, "read": read}), flush=True)


def _read(asked: queue.Queue[str | None]) -> None:
    for line in sys.stdin:
        asked.put(line)
    asked.put(None)


if __name__ == "__main__":
    main()
