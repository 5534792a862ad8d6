"""A chat pipeline around a model: masked in the store, tokens for the model, originals back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from masker import Masker, Message
from masker.middleware import Pipeline, PurgeWords
from masker.stores import open_store
from masker.vault.keyfile import make_key_file


def model(prompt: str) -> Iterator[str]:
    """Stands for a language model; it streams, and cuts its tokens anywhere."""
    print("model reads:   ", prompt)
    yield from ("I have charged <CA", "RD_", "1> as", " you asked.")


with tempfile.TemporaryDirectory() as folder:
    keys = Path(folder) / "masker.keys"
    make_key_file(keys)  # or: masker keys init --keys file:masker.keys
    store = open_store(f"sqlite:///{folder}/chat.db", keys=f"file:{keys}")
    pipeline = Pipeline(Masker(), store=store, tokens=True, purge=PurgeWords())
    said = ["please charge 5105 1051", "0510 5100, that is all of it", "delete my data", "yes"]
    for number, text in enumerate(said):
        turn = pipeline.receive(Message("c1", f"m{number}", "customer", text))
        if turn.answer is not None:  # the chat itself has something to say
            print("customer reads:", turn.answer.rpartition(" / ")[2].split(":")[0])
        elif number == 1 and turn.text is not None:
            print("customer reads:", "".join(pipeline.stream("c1", model(turn.text))))
            for message in store.transcript("c1"):
                print("stored:        ", message.text)
    print("left:          ", store.conversations())
    store.close()
