"""Which rollouts are run when and where: a plan of rows, a state machine that gives them out, a pool that runs them."""
