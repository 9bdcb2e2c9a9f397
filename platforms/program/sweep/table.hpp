// The results of a sweep as one CSV and one JSON, in the order of the runs.
#pragma once

#include <virtio/platforms/program/sweep/store.hpp>

#include <string>
#include <utility>
#include <vector>

namespace virtio::platform::sweep {

// Every value below `json` with its dotted path, in order. The elements of an array are named by
// their "name" or "device" if all of them have one of their own, else by their number from 0:
// devices.blk0.statistics.reads, workloads.blk0.queues.0.requests.
std::vector<std::pair<std::string, std::string>> flatten(const Json& json);

// RFC 4180, except that a line ends in "\n".
std::string csv_field(const std::string& text);

// results.csv and results.json, from the runs that have finished. What they hold does not depend on
// the order in which the runs finished, nor on how long they took.
void write_tables(const Store& store);

} // namespace virtio::platform::sweep
