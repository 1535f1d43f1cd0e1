"""One question to one trajectory: the agent, its methods, models, tools and quota."""
