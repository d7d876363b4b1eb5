"""rating: invitations, reviews and the orders that bad ones become."""
