"""The torch engine that its tests share. Torch is imported where they ask for it: fast tests come by here, too."""

import pytest


@pytest.fixture(scope="module")
def model():
    import torch
    from torch_engines import make_model

    torch.set_num_threads(1)
    return make_model()


@pytest.fixture
async def engine(model):
    from torch_engines import make_engine

    engine = make_engine(model)
    yield engine
    await engine.close()
