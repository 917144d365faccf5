// Outputs for those who look: views for people, gauges for Prometheus.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sinks/batch_output.h"

namespace sluice {

extern const ComponentInfo view_output_info;
extern const ComponentInfo gauges_output_info;

/// What cannot be made of rows of this schema. `settings`: of an output of gauges.
std::vector<Finding> judge_gauges(const Settings& settings, const analytics::Schema& schema);

std::unique_ptr<BatchOutput> make_view_output(const Settings& settings, std::string label,
                                              const OutputInput& input, ViewBoard& board);
std::unique_ptr<BatchOutput> make_gauges_output(const Settings& settings, std::string label,
                                                const OutputInput& input, ResultGauges& gauges);

}  // namespace sluice
