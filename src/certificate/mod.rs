//! Files → checks → verdict → swap.
