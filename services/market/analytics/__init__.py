"""The numbers of the market, as functions of arrays: no await, no SQL, no wire, no clock."""
