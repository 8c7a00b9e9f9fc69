"""Files of this machine and of object stores: opening, listing, locks."""
