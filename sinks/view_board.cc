#include "sinks/view_board.h"

#include <algorithm>
#include <utility>

namespace sluice {

// ---- ResultView

std::vector<std::string> ResultView::path() const {
  if (plan_.step.empty()) return {plan_.sink, plan_.output};
  return {plan_.sink, plan_.output, plan_.step};
}

void ResultView::add(ShownBatch batch) {
  auto added = std::make_shared<const ShownBatch>(std::move(batch));
  const std::lock_guard lock(mutex_);
  while (!batches_.empty() && batches_.back()->time_ms >= added->time_ms) {
    bytes_ -= batches_.back()->json.size();
    batches_.pop_back();
  }
  bytes_ += added->json.size();
  const std::int64_t oldest = added->time_ms - plan_.remember.count();
  batches_.push_back(std::move(added));
  const auto too_many = [&] {
    return batches_.front()->time_ms <= oldest || bytes_ > plan_.bytes_max ||
           batches_.size() > plan_.batches_max;
  };
  while (batches_.size() > 1 && too_many()) {
    bytes_ -= batches_.front()->json.size();
    batches_.pop_front();
  }
}

std::vector<ResultView::Batch> ResultView::batches() const {
  const std::lock_guard lock(mutex_);
  return {batches_.begin(), batches_.end()};
}

ResultView::Batch ResultView::last() const {
  const std::lock_guard lock(mutex_);
  return batches_.empty() ? nullptr : batches_.back();
}

ResultView::Batch ResultView::after(std::int64_t time_ms) const {
  const std::lock_guard lock(mutex_);
  const auto next =
      std::upper_bound(batches_.begin(), batches_.end(), time_ms,
                       [](std::int64_t time, const Batch& each) { return time < each->time_ms; });
  return next == batches_.end() ? nullptr : *next;
}

// ---- ViewBoard

ViewBoard::View ViewBoard::open(ResultView::Plan plan) {
  auto made = std::make_shared<ResultView>(std::move(plan));
  const std::lock_guard lock(mutex_);
  View& view = views_[made->path()];
  const bool same = view != nullptr && view->plan().columns_json == made->plan().columns_json;
  if (!same) view = std::move(made);
  return view;
}

std::vector<ViewBoard::View> ViewBoard::views() const {
  std::vector<View> all;
  const std::lock_guard lock(mutex_);
  for (const auto& [path, view] : views_) all.push_back(view);
  return all;
}

void ViewBoard::show(ResultView& view, ShownBatch batch) {
  view.add(std::move(batch));
  const std::lock_guard lock(mutex_);
  for (const auto& [number, told] : listeners_) told();
}

std::unique_ptr<ViewBoard::Listener> ViewBoard::listen(std::function<void()> told) {
  return std::make_unique<Listener>(*this, std::move(told));
}

ViewBoard::Listener::Listener(ViewBoard& board, std::function<void()> told)
    : board_(board), number_([&] {
        const std::lock_guard lock(board.mutex_);
        board.listeners_.emplace(board.next_listener_, std::move(told));
        return board.next_listener_++;
      }()) {}

ViewBoard::Listener::~Listener() {
  const std::lock_guard lock(board_.mutex_);
  board_.listeners_.erase(number_);
}

}  // namespace sluice
