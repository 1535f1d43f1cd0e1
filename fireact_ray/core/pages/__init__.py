"""What all our pages with a script share: colours, type, how a step looks, and that they run nothing but themselves."""
