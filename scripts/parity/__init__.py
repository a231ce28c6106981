"""Proof that serin answers as the libraries do: trains models, imports and serves them, and compares every answer.

- `data`: the rows.
- `models`: the models.
- `importing`: from a model to the command that imports it.
- `server`: a running serin.
- `proof`: one model, from its training to its answers over HTTP.
- `refusals`: what must be refused.
- `folders`: model folders of MLflow, and the Python that serin prints for those that it does not read.
"""
