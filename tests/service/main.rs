//! The service from outside: a real gRPC client, real sockets, and the
//! simulator as the Claude API.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod any_block;
mod any_request;
mod any_tool;
mod bad_blocks;
mod bad_requests;
mod batch_interruptions;
mod batch_world;
mod batches;
mod blame;
mod classify;
mod connecting;
mod corpus;
mod count_tokens;
mod defined_tools;
mod drain;
mod failover;
mod faults;
mod foreign_requests;
mod full_blocks;
mod full_bodies;
mod full_tools;
mod generate;
mod generate_calls;
mod hang_ups;
mod host_world;
mod hosts;
mod invalid;
mod invalid_answers;
mod json_passthrough;
mod key_affinity;
mod limits;
mod message_budget;
mod models;
mod odd_answers;
mod one_caller;
mod overload;
mod passthrough;
mod raw_grpc;
mod sample_blocks;
mod sample_requests;
mod sample_texts;
mod sample_tools;
mod samples;
mod scripted;
mod server;
mod spending;
mod streams;
mod summarize;
mod support;
mod transport;
mod web;
mod whole_answers;
mod wire;
