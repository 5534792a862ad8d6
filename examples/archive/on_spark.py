"""Masks a folder of Parquet files on Spark: the same as `masker scan`, on many machines.

    JAVA_HOME=$(python -m masker.archive.spark) spark-submit examples/archive/on_spark.py IN OUT

Every executor needs `pip install 'masker[spark]'`, or the packed environment that Spark's
documentation describes under "Python Package Management".
"""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession

from masker.archive import spark


def main(source: str, target: str) -> None:
    """Read, mask, write."""
    spark.use_java()
    session = SparkSession.builder.appName("masker").getOrCreate()
    messages = session.read.parquet(source)
    spark.mask(messages).write.mode("overwrite").parquet(target)
    session.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
