"""Answer one question: methods, models, tools and quota, and the loop that makes a Trajectory of them."""
