"""What every room stands on: types, errors, grammar, secrets, storage, net, utils."""
