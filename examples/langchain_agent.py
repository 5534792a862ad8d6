"""A LangChain agent: history, tools and streams are masked, whatever other middleware there is."""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage

from masker import Masker
from masker.middleware.langchain import MaskerMiddleware

model = GenericFakeChatModel(messages=iter([AIMessage("the number 5105 1051 0510 5100 it is")]))
agent = create_agent(model, middleware=[MaskerMiddleware(Masker())])

history = [
    HumanMessage("my card is 5105 1051"),
    AIMessage("please go on"),
    HumanMessage("0510 5100, can you say it again?"),
]
shown = []
asked: Any = {"messages": history}
events: Any = agent.stream(asked, stream_mode=["messages", "values"])
for mode, data in events:
    if mode == "messages":
        shown.append(str(data[0].content))
    else:
        state = [message.content for message in data["messages"]]
print("streamed:", "".join(shown))
print("state:   ", state)
