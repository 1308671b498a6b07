"""How events run through their handlers: a base class and one module for each strategy."""
