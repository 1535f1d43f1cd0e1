"""What every other room stands on: types, errors, grammar, settings, secrets."""
