// Checks that something ends with a Fault of a code, whose message holds all of some parts.
#ifndef ASCEND310_INFER_TESTS_EXPECT_FAULT_H_
#define ASCEND310_INFER_TESTS_EXPECT_FAULT_H_

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>

#include "fault.h"

namespace erfnet {

template <typename Action>
void ExpectFault(const Action& action, ExitCode code, std::initializer_list<std::string> parts) {
  try {
    action();
  } catch (const Fault& fault) {
    const std::string said = fault.what();
    CHECK(static_cast<int>(fault.code()) == static_cast<int>(code));
    for (const std::string& part : parts) {
      CHECK_MESSAGE(said.find(part) != std::string::npos, "'", said, "' says nothing of '", part, "'");
    }
    return;
  }
  FAIL_CHECK("no fault");
}

}  // namespace erfnet

#endif  // ASCEND310_INFER_TESTS_EXPECT_FAULT_H_
