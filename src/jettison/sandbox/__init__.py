"""A Process in its own world: a plan of operations, a child that executes it, a parent that supervises."""
