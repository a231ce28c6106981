"""tritonclient and the REST client of KServe: every way to send a case, and what came back, as JSON."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import tritonclient.http as triton
from kserve import InferenceRESTClient
from kserve import InferInput
from kserve import InferRequest
from kserve import RESTConfig
from rows import Case
from rows import answers
from rows import case

MODEL = "model"


def columns(case: Case, new: Any, **options: bool) -> list[Any]:
    """A tensor for each feature."""
    inputs = []
    for name, datatype in case.datatypes.items():
        tensor = new(name, [len(case.rows), 1], datatype)
        tensor.set_data_from_numpy(case.column(name).reshape(-1, 1), **options)
        inputs.append(tensor)
    return inputs


def matrix(case: Case, new: Any, dtype: Any, datatype: str, **options: bool) -> list[Any]:
    """One tensor with all features."""
    values = case.matrix().astype(dtype)
    tensor = new("x", list(values.shape), datatype)
    tensor.set_data_from_numpy(values, **options)
    return [tensor]


def by_triton(case: Case) -> dict[str, Any]:
    client = triton.InferenceServerClient(case.address)
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready(MODEL) and client.is_model_ready(MODEL, case.version)
    assert not client.is_model_ready("another") and not client.is_model_ready(MODEL, "another")
    assert client.get_server_metadata()["name"] == "serin"
    metadata = client.get_model_metadata(MODEL)
    assert {one["name"]: one["datatype"] for one in metadata["inputs"]} == case.datatypes, metadata
    assert metadata["versions"] == [case.version], metadata
    index = client.get_model_repository_index()
    assert [one["version"] for one in index if one["state"] == "READY"] == [case.version], index
    names = [one["name"] for one in metadata["outputs"] if one["name"] != "prediction_id"]

    def infer(inputs: list[Any], **options: Any) -> list[list[Any]]:
        result = client.infer(MODEL, inputs, **options)
        assert result.get_response()["model_version"] == case.version
        return answers({name: result.as_numpy(name) for name in names})

    found = {
        "binary": infer(columns(case, triton.InferInput)),
        "JSON": infer(columns(case, triton.InferInput, binary_data=False)),
        "JSON out": infer(
            columns(case, triton.InferInput),
            outputs=[triton.InferRequestedOutput(name, binary_data=False) for name in names],
        ),
        "named outputs, id, parameters": infer(
            columns(case, triton.InferInput),
            outputs=[triton.InferRequestedOutput(name) for name in names],
            request_id="r1",
            priority=2,
            timeout=500_000,
            parameters={"key": "customer-17"},
        ),
        "version": infer(columns(case, triton.InferInput), model_version=case.version),
    }
    if case.is_numeric:
        found["matrix, binary"] = infer(matrix(case, triton.InferInput, np.float64, "FP64"))
        found["matrix, JSON"] = infer(matrix(case, triton.InferInput, np.float64, "FP64", binary_data=False))
        found["matrix, FP32"] = infer(matrix(case, triton.InferInput, np.float32, "FP32"))
        found["matrix, FP32, JSON"] = infer(matrix(case, triton.InferInput, np.float32, "FP32", binary_data=False))
    try:
        client.infer("another", columns(case, triton.InferInput))
    except triton.InferenceServerException as error:
        assert error.message().startswith("Model with name another does not exist."), error
    else:
        raise AssertionError("a model that does not exist answers")
    return {f"tritonclient, {way}": answer for way, answer in found.items()}


async def by_kserve(case: Case) -> dict[str, Any]:
    base = f"http://{case.address}"
    v2, v1 = (InferenceRESTClient(RESTConfig(protocol=protocol)) for protocol in ["v2", "v1"])
    assert await v2.is_server_live(base) and await v2.is_server_ready(base)
    assert await v2.is_model_ready(base, MODEL) and await v1.is_model_ready(base, MODEL)

    async def infer(inputs: list[Any]) -> list[list[Any]]:
        result = await v2.infer(base, InferRequest(MODEL, inputs), model_name=MODEL)
        return answers({one.name: one.as_numpy() for one in result.outputs})

    found = {
        "v2, binary": await infer(columns(case, InferInput)),
        "v2, JSON": await infer(columns(case, InferInput, binary_data=False)),
    }
    if case.is_numeric:
        found["v2, matrix"] = await infer(matrix(case, InferInput, np.float64, "FP64"))
    by_position = [[row[name] for name in case.datatypes] for row in case.rows]
    for way, instances in [("v1, by name", case.rows), ("v1, by position", by_position)]:
        result = await v1.infer(base, {"instances": instances}, model_name=MODEL)
        found[way] = result["predictions"]
    return {f"kserve, {way}": answer for way, answer in found.items()}


if __name__ == "__main__":
    the_case = case()
    print(json.dumps({**by_triton(the_case), **asyncio.run(by_kserve(the_case))}))
