// What one thread hands to others, up to a number that may wait.
#ifndef ASCEND310_INFER_BOUNDED_QUEUE_H_
#define ASCEND310_INFER_BOUNDED_QUEUE_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace erfnet {

template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  // Waits for room; false, and the item is dropped, where the queue is closed.
  bool Push(T item) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return closed_ || items_.size() < capacity_; });
    if (closed_) {
      return false;
    }
    items_.push_back(std::move(item));
    filled_.notify_one();
    return true;
  }

  // Waits for an item; nothing where the queue is closed and empty.
  std::optional<T> Pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [this] { return closed_ || !items_.empty(); });
    if (items_.empty()) {
      return std::nullopt;
    }
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    room_.notify_one();
    return item;
  }

  // Nothing more comes in; what waits can still be taken.
  void Close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    WakeAll();
  }

  // Nothing more comes in or out.
  void Abandon() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    items_.clear();
    WakeAll();
  }

 private:
  void WakeAll() {
    room_.notify_all();
    filled_.notify_all();
  }

  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable filled_;
  std::deque<T> items_;
  bool closed_ = false;
};

}  // namespace erfnet

#endif  // ASCEND310_INFER_BOUNDED_QUEUE_H_
