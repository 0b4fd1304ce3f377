#include "bounded_queue.h"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace erfnet {
namespace {

TEST_CASE("gives items in their order, and what waits after it is closed") {
  BoundedQueue<std::unique_ptr<int>> queue(3);
  CHECK(queue.Push(std::make_unique<int>(1)));
  CHECK(queue.Push(std::make_unique<int>(2)));
  queue.Close();
  CHECK_FALSE(queue.Push(std::make_unique<int>(3)));
  CHECK(**queue.Pop() == 1);
  CHECK(**queue.Pop() == 2);
  CHECK_FALSE(queue.Pop().has_value());
}

TEST_CASE("drops what waits when it is abandoned, and lets go who waits for room or items") {
  BoundedQueue<int> full(1);
  BoundedQueue<int> empty(1);
  CHECK(full.Push(1));
  std::atomic<int> let_go{0};
  std::thread pusher([&] { let_go += full.Push(2) ? 0 : 1; });
  std::thread popper([&] { let_go += empty.Pop() ? 0 : 1; });
  full.Abandon();
  empty.Abandon();
  pusher.join();
  popper.join();
  CHECK(let_go == 2);
  CHECK_FALSE(full.Pop().has_value());
}

TEST_CASE("never holds more than its capacity, and hands each item to one thread") {
  constexpr int kItems = 2000;
  BoundedQueue<int> queue(2);
  std::atomic<long> sum{0};
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::vector<std::thread> takers;
  for (int i = 0; i < 3; ++i) {
    takers.emplace_back([&] {
      while (const auto item = queue.Pop()) {
        --inside;
        sum += *item;
      }
    });
  }
  for (int i = 1; i <= kItems; ++i) {
    queue.Push(i);
    most = std::max(most.load(), ++inside);
  }
  queue.Close();
  for (std::thread& taker : takers) {
    taker.join();
  }
  CHECK(sum == static_cast<long>(kItems) * (kItems + 1) / 2);
  // Each taker may have taken one that it has not counted yet.
  CHECK(most <= 2 + 3);
}

}  // namespace
}  // namespace erfnet
