//! Files → checks → verdict → swap.
//!
//! [`load`] reads a chain and its key, [`resolver`] chooses among the loaded ones by the name
//! that a client asks for. What a certificate says of itself is read by [`leaf`].

pub mod leaf;
pub mod load;
pub mod resolver;
pub mod ticket;
