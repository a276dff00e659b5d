//! The ladder: a dense solve (`oracle`) checks `exact`, `exact` checks walks (`walks`: naive ones, an index written by
//! hand).

mod changed;
mod crew;
mod damage;
mod decomposition;
mod estimates;
mod exactness;
mod explanation;
mod halting;
mod in_memory;
mod oracle;
mod pointwise;
mod policies;
mod precision;
mod shaping;
mod stability;
mod ties;
mod twins;
mod two_sided;
mod world;
