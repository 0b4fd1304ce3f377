#include "device_check.h"

#include <doctest/doctest.h>

#include "expect_fault.h"
#include "temporary_folder.h"

namespace erfnet {
namespace {

TEST_CASE("a CPU is always there") { CHECK_NOTHROW(CheckDevice(Device{}, "/nowhere")); }

TEST_CASE("logical ids count the nodes of chips, whatever their numbers") {
  const TemporaryFolder dev;
  for (const char* name : {"davinci4", "davinci12", "davinci_manager", "davinci", "davinci5x", "xdavinci6"}) {
    (void)dev.Write(name, "");
  }
  CHECK_NOTHROW(CheckDevice(Device{0}, dev.path()));
  CHECK_NOTHROW(CheckDevice(Device{1}, dev.path()));
  ExpectFault([&] { CheckDevice(Device{2}, dev.path()); }, ExitCode::kNoDevice,
              {"no Ascend device 2 here (2 of ", "davinciN", "--device cpu"});
}

TEST_CASE("without nodes there is no chip") {
  const TemporaryFolder dev;
  ExpectFault([&] { CheckDevice(Device{0}, dev.path()); }, ExitCode::kNoDevice, {"no Ascend device 0 here (0 of "});
  ExpectFault([] { CheckDevice(Device{0}, "/nowhere"); }, ExitCode::kNoDevice, {"(0 of /nowhere/davinciN)"});
}

}  // namespace
}  // namespace erfnet
