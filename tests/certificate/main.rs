//! What is said about certificates, held against what real clients do with them.

#![allow(missing_docs)]

mod clients;
mod command;
mod faulty;
mod files;
mod forecast;
mod healthy;
mod issue;
mod openssl;
mod row;
mod server;
mod table;
mod unfit;
mod unusable;
