"""What every List and every mutation of every service needs: pages, filters, request ids."""
