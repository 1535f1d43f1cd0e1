"""What a generation will take, before it is paid for: written rows + pending rows -> Estimate.

A method with written rows is measured: its pending rows are expected to take what those took on average. The
interval is the 95 % prediction interval of their sum. With n questions measured, k questions and N rows
pending, and the standard deviation s between questions it is

    N * mean ± t(n - 1) * N * s * sqrt(1/n + 1/k),     never below 0

whose first term is the doubt about the mean and whose second one the chance in the pending rows themselves. Attempts at
one question are alike, so they count as one measurement, their mean. Low and high ends of methods are added, as if all
erred in the same direction: a question that is hard for one is hard for the others. What is paid already, the pilot's
own cost included, is part of the bill and has no doubt.

A method without written rows has a bound, from its real prompts and the recipe's limits, and no expectation.
"""
