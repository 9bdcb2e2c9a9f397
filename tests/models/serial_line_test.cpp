#include <virtio/core/serial_line.hpp>

#include <gtest/gtest.h>

namespace virtio {
namespace {

TEST(SerialLine, TransfersComeOneAfterTheOther) {
  SerialLine line(1'000'000'000); // 1 unit a nanosecond
  EXPECT_EQ(line.transfer(nanoseconds(100), 10), nanoseconds(110));
  EXPECT_EQ(line.transfer(nanoseconds(105), 10), nanoseconds(120));
  EXPECT_EQ(line.transfer(nanoseconds(120), 10), nanoseconds(130));
  EXPECT_EQ(line.transfer(nanoseconds(200), 1), nanoseconds(201)) << "idle in between";
}

TEST(SerialLine, ABusyLineKeepsItsRateToThePicosecond) {
  SerialLine line(3); // a third of a second each
  EXPECT_EQ(line.transfer({}, 1).ps, 333'333'333'333u);
  EXPECT_EQ(line.transfer({}, 1).ps, 666'666'666'666u);
  EXPECT_EQ(line.transfer({}, 1).ps, 1'000'000'000'000u);
  SerialLine odd(7'777'777'777);
  SimTime end;
  for (int i = 0; i < 7'777; ++i)
    end = odd.transfer({}, 1'000'001);
  EXPECT_EQ(end.ps, 999'900'999'999u) << "7777 * 1000001 * 10^12 / 7777777777, rounded down";
}

TEST(SerialLine, AnIdleLineStartsWithAWholePicosecond) {
  SerialLine line(3);
  EXPECT_EQ(line.transfer({}, 2).ps, 666'666'666'666u);
  EXPECT_EQ(line.transfer(milliseconds(1'000), 1).ps, 1'333'333'333'333u);
  EXPECT_EQ(line.transfer(milliseconds(1'000), 1).ps, 1'666'666'666'666u);
}

TEST(SerialLine, LargeTransfersDoNotOverflow) {
  SerialLine line(1'000'000'000'000);
  EXPECT_EQ(line.transfer({}, 1ull << 40).ps, 1ull << 40);
}

TEST(SerialLine, TimeDoesNotWrap) {
  SerialLine line(1);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(line.transfer(nanoseconds(1), ~0ull).ps, 1ull << 63);
}

TEST(SerialLine, WithoutARateItIsNeverBusy) {
  SerialLine line;
  EXPECT_EQ(line.transfer(nanoseconds(5), 1ull << 40), nanoseconds(5));
  EXPECT_EQ(line.transfer(nanoseconds(3), 1), nanoseconds(3));
}

TEST(SerialSteps, ComeOneAfterTheOther) {
  SerialSteps steps(nanoseconds(10));
  EXPECT_EQ(steps.take(nanoseconds(5)), nanoseconds(15));
  EXPECT_EQ(steps.take(nanoseconds(5)), nanoseconds(25));
  EXPECT_EQ(steps.take(nanoseconds(40)), nanoseconds(50));
  EXPECT_EQ(SerialSteps().take(nanoseconds(7)), nanoseconds(7));
}

} // namespace
} // namespace virtio
