//! One behaviour a file: two sessions in virtual time. See `whimbrel_tests`.

mod blackout;
mod chaos;
mod clock;
mod commit;
mod config_limits;
mod delivery;
mod duplicate;
mod head_of_line;
mod idle;
mod in_order;
mod malformed_input;
mod path_change;
mod peer_reboot;
mod queue_full;
mod random;
mod reorder;
mod seq_wrap;
mod stalled_rate;
mod wake;
